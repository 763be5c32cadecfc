"""Everyday words in each language, written for this project; keys are espeak's language codes."""

from __future__ import annotations

WORDS: dict[str, str] = {
    "en-us": (
        "the and you that was for are with his they this have from one had word but not what all were when "
        "your can said there use each which she do how their if will up other about out many then them "
        "these so some her would make like him into time has look two more write go see number no way could "
        "people my than first water been call who oil its now find long down day did get come made may part "
        "house street north south east west open close start stop left right light door window kitchen "
        "music play yesterday tomorrow morning evening please thank hello john smith mary robert johnson "
        "erase repeat enter january february march april june july august september october november "
        "december"
    ),
    "et": (
        "ja on ei see mis kui aga siis oma ta mina sina meie teie kes kus maja tänav vesi leib õun puu "
        "päike kuu täht öö päev hommik õhtu täna homme eile ava sulge tuli aken uks köök muusika palun "
        "aitäh tere head aega ema isa laps sõber kool raamat number aasta nädal kell sõitma jooksma "
        "kirjutama lugema väike suur külm soe ilus vana noor üks kaks kolm õpetaja jõgi mägi"
    ),
    "ca": (
        "i el la els les un una que no és amb per a casa carrer aigua pa poma arbre sol lluna estrella nit "
        "dia matí tarda avui demà ahir obre tanca llum finestra porta cuina música si us plau gràcies hola "
        "adéu mare pare nen amic escola llibre número any setmana hora petit gran fred calor bonic vell "
        "jove mar muntanya riu ciutat poble cotxe tren gos gat vermell blau verd"
    ),
    "es": (
        "y el la los las un una que no es con por para casa calle agua pan manzana árbol sol luna estrella "
        "noche día mañana tarde hoy ayer abre cierra luz ventana puerta cocina música por favor gracias "
        "hola adiós madre padre niño amigo escuela libro número año semana hora pequeño grande frío calor "
        "bonito viejo joven mar montaña río ciudad pueblo coche tren perro gato rojo azul verde"
    ),
    "fr": (
        "et le la les un une que ne pas est avec pour dans maison rue eau pain pomme arbre soleil lune "
        "étoile nuit jour matin soir aujourd'hui demain hier ouvre ferme lumière fenêtre porte cuisine "
        "musique s'il vous plaît merci bonjour au revoir mère père enfant ami école livre numéro année "
        "semaine heure petit grand froid chaud beau vieux jeune mer montagne fleuve ville village voiture "
        "train chien chat rouge bleu vert coeur âme ciel ombre parfum douleur amour fleur yeux terre monde "
        "esprit toujours jamais"
    ),
    "it": (
        "e il la i le un una che non è con per casa strada acqua pane mela albero sole luna stella notte "
        "giorno mattina sera oggi domani ieri apri chiudi luce finestra porta cucina musica per favore "
        "grazie ciao arrivederci madre padre bambino amico scuola libro numero anno settimana ora piccolo "
        "grande freddo caldo bello vecchio giovane mare montagna fiume città paese treno cane gatto"
    ),
    "de": (
        "und der die das ein eine nicht ist mit für in haus straße wasser brot apfel baum sonne mond stern "
        "nacht tag morgen abend heute gestern öffne schließe licht fenster tür küche musik bitte danke "
        "hallo tschüss mutter vater kind freund schule buch nummer jahr woche stunde klein groß kalt warm "
        "schön alt jung meer berg fluss stadt dorf auto zug hund katze rot blau grün"
    ),
    "nl": (
        "en de het een niet is met voor in huis straat water brood appel boom zon maan ster nacht dag "
        "morgen avond vandaag gisteren open sluit licht raam deur keuken muziek alsjeblieft dank hallo "
        "moeder vader kind vriend school boek nummer jaar week uur klein groot koud warm mooi oud jong zee "
        "berg rivier stad dorp auto trein hond kat rood blauw groen"
    ),
    "pt": (
        "e o a os as um uma que não é com por para casa rua água pão maçã árvore sol lua estrela noite dia "
        "manhã tarde hoje amanhã ontem abre fecha luz janela porta cozinha música por favor obrigado olá "
        "adeus mãe pai menino amigo escola livro número ano semana hora pequeno grande frio calor bonito "
        "velho jovem mar montanha rio cidade aldeia carro comboio cão gato vermelho azul verde"
    ),
    "ro": (
        "și un o că nu este cu pentru în casă stradă apă pâine măr copac soare lună stea noapte zi "
        "dimineață seară astăzi mâine ieri deschide închide lumină fereastră ușă bucătărie muzică te rog "
        "mulțumesc bună mamă tată copil prieten școală carte număr an săptămână oră mic mare rece cald "
        "frumos bătrân tânăr munte râu oraș sat mașină tren câine pisică roșu albastru verde"
    ),
    "pl": (
        "i w nie jest z dla dom ulica woda chleb jabłko drzewo słońce księżyc gwiazda noc dzień rano "
        "wieczór dzisiaj jutro wczoraj otwórz zamknij światło okno drzwi kuchnia muzyka proszę dziękuję "
        "cześć matka ojciec dziecko przyjaciel szkoła książka numer rok tydzień godzina mały duży zimny "
        "ciepły piękny stary młody morze góra rzeka miasto wieś samochód pociąg pies kot czerwony"
    ),
    "cs": (
        "a v ne je s pro dům ulice voda chléb jablko strom slunce měsíc hvězda noc den ráno večer dnes "
        "zítra včera otevři zavři světlo okno dveře kuchyně hudba prosím děkuji ahoj matka otec dítě přítel "
        "škola kniha číslo rok týden hodina malý velký studený teplý krásný starý mladý moře hora řeka "
        "město vesnice auto vlak pes kočka červený modrý zelený"
    ),
    "sk": (
        "a v nie je s pre dom ulica voda chlieb jablko strom slnko mesiac hviezda noc deň ráno večer dnes "
        "zajtra včera otvor zatvor svetlo okno dvere kuchyňa hudba prosím ďakujem ahoj matka otec dieťa "
        "priateľ škola kniha číslo rok týždeň hodina malý veľký studený teplý krásny starý mladý more hora "
        "rieka mesto dedina auto vlak pes mačka"
    ),
    "ru": (
        "и в не на я что он с как это дом улица вода хлеб яблоко дерево солнце луна звезда ночь день утро "
        "вечер сегодня завтра вчера открой закрой свет окно дверь кухня музыка пожалуйста спасибо привет "
        "мать отец ребёнок друг школа книга номер год неделя час маленький большой холодный тёплый красивый "
        "старый молодой море гора река город деревня машина поезд собака кошка"
    ),
    "uk": (
        "і в не на я що він з як це дім вулиця вода хліб яблуко дерево сонце місяць зірка ніч день ранок "
        "вечір сьогодні завтра вчора відкрий закрий світло вікно двері кухня музика будь ласка дякую привіт "
        "мати батько дитина друг школа книга номер рік тиждень година малий великий холодний теплий гарний "
        "старий молодий море гора річка місто село машина потяг собака кішка"
    ),
    "bg": (
        "и в не на аз че той с как това къща улица вода хляб ябълка дърво слънце луна звезда нощ ден сутрин "
        "вечер днес утре вчера отвори затвори светлина прозорец врата кухня музика моля благодаря здравей "
        "майка баща дете приятел училище книга номер година седмица час малък голям студен топъл красив "
        "стар млад море планина река град село кола влак куче котка"
    ),
    "tr": (
        "ve bir bu ne için ile ev sokak su ekmek elma ağaç güneş ay yıldız gece gün sabah akşam bugün yarın "
        "dün aç kapat ışık pencere kapı mutfak müzik lütfen teşekkürler merhaba anne baba çocuk arkadaş "
        "okul kitap numara yıl hafta saat küçük büyük soğuk sıcak güzel eski genç deniz dağ nehir şehir köy "
        "araba tren köpek kedi kırmızı mavi yeşil"
    ),
    "fi": (
        "ja on ei se mikä kun mutta oma hän minä sinä me te kuka missä talo katu vesi leipä omena puu "
        "aurinko kuu tähti yö päivä aamu ilta tänään huomenna eilen avaa sulje valo ikkuna ovi keittiö "
        "musiikki kiitos hei äiti isä lapsi ystävä koulu kirja numero vuosi viikko tunti pieni suuri kylmä "
        "lämmin kaunis vanha nuori meri vuori joki kaupunki kylä auto juna koira kissa punainen"
    ),
    "sv": (
        "och en ett inte är med för i hus gata vatten bröd äpple träd sol måne stjärna natt dag morgon "
        "kväll idag imorgon igår öppna stäng ljus fönster dörr kök musik snälla tack hej mor far barn vän "
        "skola bok nummer år vecka timme liten stor kall varm vacker gammal ung hav berg flod stad by bil "
        "tåg hund katt röd blå grön sjuksköterska skjorta"
    ),
    "da": (
        "og en et ikke er med for i hus gade vand brød æble træ sol måne stjerne nat dag morgen aften igår "
        "åbn luk lys vindue dør køkken musik tak hej mor far barn ven skole bog nummer år uge time lille "
        "stor kold varm smuk gammel ung hav bjerg flod by bil tog hund kat"
    ),
    "nb": (
        "og en et ikke er med for i hus gate vann brød eple tre sol måne stjerne natt dag morgen kveld igår "
        "åpne lukk lys vindu dør kjøkken musikk takk hei mor far barn venn skole bok nummer år uke time "
        "liten stor kald varm vakker gammel ung hav fjell elv by bil"
    ),
    "hu": (
        "és egy nem van a az ház utca víz kenyér alma fa nap hold csillag éjszaka reggel este ma holnap "
        "tegnap nyisd zárd fény ablak ajtó konyha zene kérem köszönöm szia anya apa gyerek barát iskola "
        "könyv szám év hét óra kicsi nagy hideg meleg szép öreg fiatal tenger hegy folyó város falu autó "
        "vonat kutya macska piros kék zöld"
    ),
    "el": (
        "και το η ο δεν είναι με για σπίτι δρόμος νερό ψωμί μήλο δέντρο ήλιος φεγγάρι αστέρι νύχτα μέρα "
        "πρωί βράδυ σήμερα αύριο χθες άνοιξε κλείσε φως παράθυρο πόρτα κουζίνα μουσική παρακαλώ ευχαριστώ "
        "γεια μητέρα πατέρας παιδί φίλος σχολείο βιβλίο αριθμός χρόνος εβδομάδα ώρα μικρός μεγάλος κρύο "
        "ζεστό όμορφος παλιός νέος θάλασσα βουνό ποτάμι πόλη χωριό αυτοκίνητο τρένο σκύλος γάτα"
    ),
    "hr": (
        "i u ne je s za kuća ulica voda kruh jabuka drvo sunce mjesec zvijezda noć dan jutro večer danas "
        "sutra jučer otvori zatvori svjetlo prozor vrata kuhinja glazba molim hvala bok majka otac dijete "
        "prijatelj škola knjiga broj godina tjedan sat mali veliki hladan topao lijep star mlad more "
        "planina rijeka grad selo auto vlak pas mačka crven plav zelen"
    ),
    "sl": (
        "in v ne je z za hiša ulica voda kruh jabolko drevo sonce luna zvezda noč dan jutro večer danes "
        "jutri včeraj odpri zapri luč okno vrata kuhinja glasba prosim hvala živjo mati oče otrok prijatelj "
        "šola knjiga številka leto teden ura majhen velik hladen topel"
    ),
    "lv": (
        "un nav ir ar par māja iela ūdens maize ābols koks saule mēness zvaigzne nakts diena rīts vakars "
        "šodien rīt vakar atver aizver gaisma logs durvis virtuve mūzika lūdzu paldies sveiki māte tēvs "
        "bērns draugs skola grāmata numurs gads nedēļa stunda mazs liels auksts silts skaists vecs jauns "
        "jūra kalns upe pilsēta ciems vilciens suns kaķis"
    ),
    "lt": (
        "ir ne yra su už namas gatvė vanduo duona obuolys medis saulė mėnulis žvaigždė naktis diena rytas "
        "vakaras šiandien rytoj vakar atidaryk uždaryk šviesa langas durys virtuvė muzika prašau ačiū labas "
        "motina tėvas vaikas draugas mokykla knyga numeris metai savaitė valanda mažas didelis šaltas "
        "šiltas gražus senas jaunas jūra kalnas upė miestas kaimas traukinys šuo katė"
    ),
    "sw": (
        "na ya wa ni si kwa nyumba barabara maji mkate tunda mti jua mwezi nyota usiku siku asubuhi jioni "
        "leo kesho jana fungua funga taa dirisha mlango jikoni muziki tafadhali asante habari mama baba "
        "mtoto rafiki shule kitabu nambari mwaka wiki saa ndogo kubwa baridi moto nzuri zee kijana bahari "
        "mlima mto mji kijiji gari treni mbwa paka"
    ),
    "id": (
        "dan yang tidak ini itu dengan untuk rumah jalan air roti apel pohon matahari bulan bintang malam "
        "hari pagi sore sekarang besok kemarin buka tutup lampu jendela pintu dapur musik tolong terima "
        "kasih halo ibu ayah anak teman sekolah buku nomor tahun minggu jam kecil besar dingin panas indah "
        "tua muda laut gunung sungai kota desa mobil kereta anjing kucing merah biru hijau"
    ),
    "vi": (
        "và là không có một của cho nhà đường nước bánh táo cây mặt trời trăng sao đêm ngày sáng chiều hôm "
        "nay mai mở đóng đèn cửa sổ bếp nhạc xin cảm ơn chào mẹ cha con bạn trường sách số năm tuần giờ nhỏ "
        "lớn lạnh nóng đẹp già trẻ biển núi sông thành phố làng xe"
    ),
    "hi": (
        "और है नहीं यह वह के साथ घर सड़क पानी रोटी सेब पेड़ सूरज चाँद तारा रात दिन सुबह शाम आज कल खोलो बंद "
        "रोशनी खिड़की दरवाज़ा रसोई संगीत कृपया धन्यवाद नमस्ते माँ पिता बच्चा दोस्त स्कूल किताब नंबर साल "
        "हफ़्ता घंटा छोटा बड़ा ठंडा गरम सुंदर पुराना समुद्र पहाड़ नदी शहर"
    ),
    "cy": (
        "a yn y mae ddim gyda tŷ stryd dŵr bara afal coeden haul lleuad seren nos dydd bore heno heddiw "
        "yfory ddoe agor cau golau ffenestr drws cegin cerddoriaeth diolch helo mam tad plentyn ffrind "
        "ysgol llyfr rhif blwyddyn wythnos awr bach mawr oer cynnes"
    ),
    "eu": (
        "eta ez da bat hori etxe kale ur ogi sagar zuhaitz eguzki ilargi izar gau egun goiz arratsalde gaur "
        "bihar atzo ireki itxi argi leiho ate sukalde musika mesedez eskerrik kaixo ama aita ume lagun "
        "eskola liburu zenbaki urte aste ordu txiki handi hotz bero"
    ),
    "is": (
        "og ekki er með fyrir hús gata vatn brauð epli tré sól tungl stjarna nótt dagur morgunn kvöld opna "
        "loka ljós gluggi hurð eldhús tónlist takk halló móðir faðir barn vinur skóli bók númer ár vika "
        "stund lítill stór kaldur heitur fallegur gamall ungur"
    ),
    "sq": (
        "dhe nuk është me për shtëpi rrugë ujë bukë mollë pemë diell hënë yll natë ditë mëngjes sot nesër "
        "dje hap mbyll dritë dritare derë kuzhinë muzikë faleminderit tungjatjeta nënë baba fëmijë mik "
        "shkollë libër numër vit javë orë vogël madh ftohtë"
    ),
    "eo": (
        "kaj la estas ne kun por domo strato akvo pano pomo arbo suno luno stelo nokto tago mateno vespero "
        "hodiaŭ morgaŭ hieraŭ malfermu fermu lumo fenestro pordo kuirejo muziko bonvolu dankon saluton "
        "patrino patro infano amiko lernejo libro nombro jaro semajno horo"
    ),
    "ka": (
        "და არის არა ეს ის სახლი ქუჩა წყალი პური ვაშლი ხე მზე მთვარე ვარსკვლავი ღამე დღე დილა საღამო დღეს "
        "ხვალ გუშინ სინათლე ფანჯარა კარი სამზარეულო მუსიკა მადლობა გამარჯობა დედა მამა ბავშვი მეგობარი "
        "სკოლა წიგნი ნომერი წელი კვირა საათი"
    ),
    "af": (
        "en die nie is met vir in huis straat water brood appel boom son maan ster nag dag oggend aand "
        "vandag môre gister maak oop toe lig venster deur kombuis musiek asseblief dankie hallo moeder "
        "vader kind vriend skool boek nommer jaar week uur klein groot koud warm"
    ),
    "ja": (
        "これ それ わたし あなた いえ みち みず パン りんご "
        "き たいよう つき ほし よる ひる あさ ゆうがた きょう "
        "あした きのう ひかり まど ドア だいどころ おんがく おねがい "
        "ありがとう こんにちは はは ちち "
        "こども ともだち がっこう ほん "
        "ばんごう とし しゅう じかん "
    ),
    "fa": (
        "و این آن است نیست با برای خانه خیابان آب نان سیب درخت خورشید ماه ستاره شب روز صبح امروز فردا دیروز "
        "باز بسته چراغ پنجره در آشپزخانه موسیقی لطفا ممنون سلام مادر پدر بچه دوست مدرسه کتاب شماره سال هفته "
        "ساعت"
    ),
}
